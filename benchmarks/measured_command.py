"""Run a command and write down what it took: ``python -I -S measured_command.py REPORT COMMAND ...``.

The system counts memory that a process has when it starts a command as memory of the command. So what
measures large galleries lets this small process start its commands; it imports nothing of the project.
"""

import json
import os
import sys
import time
from pathlib import Path


def main(report: str, *command: str) -> int:
    """Run ``command``; write its seconds and its peak memory to ``report``, and return its exit code."""
    begin = time.perf_counter()
    process = os.posix_spawnp(command[0], command, os.environ)
    _, status, used = os.wait4(process, 0)
    clock = time.perf_counter() - begin
    took = {
        "clock": clock,
        "processor": used.ru_utime + used.ru_stime,
        "peak": used.ru_maxrss / 1024,
    }
    Path(report).write_text(json.dumps(took))
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
