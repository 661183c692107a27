"""An organisation in memory."""

from collections.abc import Mapping

from linkgate.aws.organizations import Organization


class FakeOrganization(Organization):
    """Says what `tree` says: by account, its OUs, the nearest first, and the organisation. `silence` is raised."""

    def __init__(self, tree: Mapping[str, tuple[str, ...]] | None = None) -> None:
        self.tree = dict(tree or {})
        self.silence: Exception | None = None

    def lineage(self, account: str) -> tuple[str, ...]:
        if self.silence:
            raise self.silence
        return self.tree.get(account, ())
