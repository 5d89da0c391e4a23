from django.apps import AppConfig


class MonitoringConfig(AppConfig):
    name = "monitoring"

    def ready(self) -> None:
        """Adds our numbers to what Prometheus reads."""
        from prometheus_client import REGISTRY  # noqa: PLC0415

        from monitoring.metrics import ServiceCollector  # noqa: PLC0415 - It reads models, which are loaded by now.

        REGISTRY.register(ServiceCollector())
