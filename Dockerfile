# cdml on the CPU, with the search page and PostgreSQL. How to use it: docs/docker.md.
#
#   docker build --build-arg TORCH_INDEX=URL -t cdml .
#
# TORCH_INDEX: a package index that has CPU builds of torch. Without it the build takes what the usual index has, which on
# x86-64 brings several gigabytes for GPUs along.
FROM python:3.11-slim AS build
ARG TORCH_INDEX=""
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/cdml
# First and by themselves: a change of cdml does not fetch them again. The bounds are those of pyproject.toml.
RUN /opt/cdml/bin/pip install ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} \
    "torch>=2.6,<2.14" "torchvision>=0.21,<0.29"
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY cdml cdml
COPY continual_dml continual_dml
COPY streams streams
COPY storage storage
COPY cli cli
COPY benchmarks benchmarks
RUN /opt/cdml/bin/pip install ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} ".[serve,postgres]"

FROM python:3.11-slim
COPY --from=build /opt/cdml /opt/cdml
# The folder is made before it becomes a volume, so that a new volume belongs to the user who writes to it.
RUN useradd --create-home --uid 1000 cdml && mkdir /workspace && chown cdml:cdml /workspace
ENV PATH=/opt/cdml/bin:$PATH CDML_WORKSPACE=/workspace/cdml PYTHONUNBUFFERED=1
USER cdml
WORKDIR /home/cdml
VOLUME /workspace
EXPOSE 8765
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["python", "-c", \
    "from http.client import HTTPConnection as C; c = C('127.0.0.1', 8765, timeout=4); c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["cdml"]
# Listens beyond the container, and therefore starts only where CDML_TOKEN is set.
CMD ["serve", "--host", "0.0.0.0"]
