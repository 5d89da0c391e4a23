"""Where static files are."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class StaticFiles(CompressedManifestStaticFilesStorage):
    """Hashed names where `collectstatic` has made them, and plain ones where it has not: in tests and on a first start."""

    def stored_name(self, name: str) -> str:
        """The hashed name, or the name itself, which WhiteNoise finds in the app that has it."""
        return super().stored_name(name) if self.clean_name(name) in self.hashed_files else name
