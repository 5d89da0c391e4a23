"""What monitoring keeps: samples of how the service does, few enough to be kept for ever in number. Its one right is named here too."""

from django.db import models


class Operation(models.Model):
    """No table: it carries the right to operate the service."""

    class Meta:
        managed = False
        default_permissions = ()
        permissions = [("operate", "Can read metrics and set the log level")]

    def __str__(self) -> str:
        return "operation"


class Sample(models.Model):
    """What was counted in the `seconds` before `at`, and what was so at its end; where nobody could look that is null.

    An hour's sample stands for those of a minute that it replaced: their sums, and the highest of what was so.
    """

    at = models.DateTimeField()
    seconds = models.FloatField()
    hourly = models.BooleanField(default=False)

    # Counted.
    requests = models.BigIntegerField(default=0)
    refused = models.BigIntegerField(default=0, help_text="Answers of 400 to 499.")
    errors = models.BigIntegerField(default=0, help_text="Answers of 500 and above.")
    rows_written = models.BigIntegerField(default=0)
    rows_loaded = models.BigIntegerField(default=0)
    commits = models.BigIntegerField(default=0)
    commit_seconds = models.FloatField(default=0)
    source_asked = models.IntegerField(default=0, help_text="How often the ontology server was asked whether it is well.")
    source_answered = models.IntegerField(default=0)
    source_seconds = models.FloatField(default=0)

    # So at its end.
    tables = models.IntegerField(null=True)
    rows = models.BigIntegerField(null=True)
    file_bytes = models.BigIntegerField(null=True)
    wal_bytes = models.BigIntegerField(null=True)
    memory_bytes = models.BigIntegerField(null=True)
    troubles = models.JSONField(default=dict, help_text="Each check that was not well, with what it found.")

    class Meta:
        ordering = ["-at"]
        default_permissions = ()
        indexes = [models.Index(fields=["hourly", "at"], name="samples_by_time")]

    def __str__(self) -> str:
        return f"sample of {self.at:%Y-%m-%d %H:%M}"
