"""How the consumers of one service stand while it is decided on them: slots taken, place in their organisation."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from linkgate.errors import Unavailable
from linkgate.model import Connection, Decision, Lineage, Outcome, Reason, RowKey, Standing
from linkgate.organization import Organization
from linkgate.policy import Rows, unit_rows
from linkgate.register import Register, guard_name, limit_name, unwritten
from linkgate.rows import EVERY

ROLE_MISSING = "its rows about OUs and organisations cannot be judged: the parameter OrganizationsRoleArn is empty"


@dataclass(slots=True)
class Standings:
    """By account, who holds a slot on one service and where the account stands; and the strays that shut it."""

    service: str
    strays: tuple[RowKey, ...] = ()
    lineages: Mapping[str, Lineage] = field(default_factory=dict)
    claims: dict[str, frozenset[str]] = field(default_factory=dict)

    def of(self, connection: Connection) -> Standing:
        """What is taken into account for one connection: its own slot does not count against it."""
        others = self.claims.get(connection.owner, frozenset()) - {connection.endpoint}
        return Standing(len(others), self.lineages.get(connection.owner, Lineage()), self.strays)

    def decided(self, connection: Connection, decision: Decision) -> None:
        """Count a slot that was just taken or given back."""
        mine, taken = frozenset({connection.endpoint}), self.claims.get(connection.owner, frozenset())
        self.claims[connection.owner] = taken | mine if decision.outcome is Outcome.ACCEPT else taken - mine


def standings(
    service: str,
    owners: Iterable[str],
    rows: Rows,
    register: Register,
    organization: Organization | None,
    claims: Mapping[str, frozenset[str]] | None = None,
) -> Standings:
    """How some accounts stand on a service; `claims` where they are known already. Raises Unavailable."""
    accounts = sorted(set(owners))
    names = {limit_name(service, owner): owner for owner in accounts} if claims is None else {}
    sets = register.read([guard_name(service), guard_name(EVERY), *names])
    shut = sets.get(guard_name(service), frozenset()) | sets.get(guard_name(EVERY), frozenset())
    return Standings(
        service,
        strays=tuple(sorted(map(unwritten, shut))),
        lineages=_lineages(accounts, organization) if unit_rows(service, rows) else {},
        claims={owner: sets.get(name, frozenset()) for name, owner in names.items()}
        if claims is None
        else dict(claims),
    )


def _lineages(accounts: Iterable[str], organization: Organization | None) -> dict[str, Lineage]:
    if organization is None:
        return dict.fromkeys(accounts, Lineage(unknown=Reason.MALFORMED_ROW, why=ROLE_MISSING))
    found = {}
    for account in accounts:
        try:
            found[account] = Lineage(organization.lineage(account))
        except Unavailable as error:
            found[account] = Lineage(unknown=Reason.UNKNOWN_ORGANIZATION, why=str(error))
    return found
