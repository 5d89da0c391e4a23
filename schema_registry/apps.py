from django.apps import AppConfig


class SchemaRegistryConfig(AppConfig):
    name = "schema_registry"
    verbose_name = "Ontology"
