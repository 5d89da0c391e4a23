from django.apps import AppConfig


class MonitoringConfig(AppConfig):
    name = "monitoring"

    def ready(self) -> None:
        """Adds the store's numbers to what Prometheus reads."""
        from prometheus_client import REGISTRY  # noqa: PLC0415

        from monitoring.metrics import StoreCollector  # noqa: PLC0415 - It reads a model, which is loaded by now.

        REGISTRY.register(StoreCollector())
