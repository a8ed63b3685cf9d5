"""What a server counts, as Prometheus reads it."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.005, 0.01, 0.02, 0.03, 0.06, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
_IMAGES = (1, 2, 4, 8, 16)


class Measures:
    """The figures of one server, apart from those of any other in the process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry(auto_describe=True)
        own = self._registry
        self._requests = Counter("cdml_requests", "Requests answered.", ("route", "status"), registry=own)
        self._seconds = Histogram(
            "cdml_request_seconds", "From the last header to the end of the answer.", ("route",),
            buckets=_SECONDS, registry=own,
        )  # fmt: skip
        self.together = Histogram(
            "cdml_search_queries", "Queries that were searched together.", buckets=_IMAGES, registry=own
        )
        self.waiting = Gauge("cdml_search_waiting", "Queries that wait to be searched.", registry=own)
        self.generation = Gauge("cdml_generation", "Number of the generation that answers.", registry=own)
        self.items = Gauge("cdml_gallery_items", "Items that are searched.", registry=own)
        self.problem = Gauge("cdml_generation_problem", "1: a newer one cannot answer.", registry=own)

    def count(self, route: str, status: int, seconds: float) -> None:
        """Count one request; ``route`` is a pattern of paths, so that their number stays small."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def as_text(self) -> bytes:
        """Return all of it in Prometheus's text format."""
        return generate_latest(self._registry)
