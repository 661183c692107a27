"""What can stop Linkgate from deciding. A refusal is a Decision, never an exception.

* LinkgateError
  x SettingsError       the deployment is wrong: terminal, names the variable
  x Unavailable         AWS cannot answer now: worth another try, later
    - Throttled         EC2 asks for fewer calls
    - NotYet          a function is being made ready
    - Contended         another approver decides on the same connection at this moment
    - Damaged           an item of the ledger has not the form that is written: somebody else changed it
"""


class LinkgateError(Exception):
    """Anything that stops Linkgate from deciding."""


class SettingsError(LinkgateError):
    """A function's environment lacks something or holds nonsense; the message names the variable."""


class Unavailable(LinkgateError):
    """AWS cannot answer now; the same question may be answered later."""


class Throttled(Unavailable):
    """EC2 answered RequestLimitExceeded or one of its relatives."""


class NotYet(Unavailable):
    """Lambda is making a function ready that slept, or was just deployed."""


class Contended(Unavailable):
    """Another approver recorded a decision on this connection after it was read here."""


class Damaged(Unavailable):
    """An attribute of a stored item has another type than is written here, so it cannot be changed."""
