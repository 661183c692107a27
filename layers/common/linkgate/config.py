"""The settings that the template gives a function through its environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from linkgate.errors import SettingsError
from linkgate.policy import attributes
from linkgate.policy.probes import Probe

MOST_DAYS = 36500


@dataclass(frozen=True, slots=True)
class Settings:
    """The environment of a function, checked.

    Resources that a function does not have are "", and its handler asks for none of them.
    """

    stack: str = ""
    tag_value: str = ""
    account: str = ""
    region: str = ""
    allow_list_table: str = ""
    ledger_table: str = ""
    bell_queue_url: str = ""
    patrol_queue_url: str = ""
    sweep_queue_url: str = ""
    event_bus: str = ""
    notification_topic_arn: str = ""
    organizations_role_arn: str = ""
    ledger_retention_days: str = ""
    canary_function: str = ""
    default_probe: str = ""
    expiring_soon_days: str = ""
    alarm_topic_arn: str = ""
    stack_gaps: str = ""

    @property
    def retention(self) -> timedelta | None:
        """How long the ledger keeps decisions; None: for ever; raises SettingsError."""
        return _days("LEDGER_RETENTION_DAYS", self.ledger_retention_days or "0") or None

    @property
    def gaps(self) -> tuple[str, ...]:
        """What the stack's parameters leave out, a sentence each."""
        return tuple(filter(None, self.stack_gaps.split("\n")))

    @property
    def expiring_soon(self) -> timedelta:
        """How long before a row ends that is published; raises SettingsError."""
        return _days("EXPIRING_SOON_DAYS", self.expiring_soon_days)

    @property
    def probes(self) -> tuple[Probe, ...]:
        """What proves that an endpoint answers, unless its service's settings say otherwise; raises SettingsError."""
        try:
            return tuple(map(Probe.parse, attributes.probes(self.default_probe)))
        except ValueError as error:
            raise SettingsError(f"DEFAULT_PROBE is {self.default_probe!r}: expected {error}") from None

    @classmethod
    def from_env(cls, environ: Mapping[str, str], required: tuple[str, ...]) -> "Settings":
        """Read every known variable; raise SettingsError that names each missing one of `required`."""
        values = {field: environ.get(field.upper(), "").strip() for field in cls.__slots__}
        missing = [field.upper() for field in required if not values[field]]
        if missing:
            raise SettingsError(
                f"environment variable {', '.join(missing)} is missing or empty: "
                "deploy template.yaml as it is, it sets all of them"
            )
        return cls(**values)


def _days(variable: str, text: str) -> timedelta:
    """A number of days, a century at most."""
    try:
        days = attributes.whole(text)
    except attributes.Unreadable:
        raise SettingsError(f"{variable} is {text!r}: expected days such as 14, or 0") from None
    return timedelta(days=min(days, MOST_DAYS))
