"""What somebody meant by a key of no known form: an ARN, the name of a service, digits with dashes, capitals. Pure."""

import re

_HEX = "[0-9a-f]{8}(?:[0-9a-f]{9})?"
_START, _END = "(?<![0-9a-z-])", "(?![0-9a-z-])"
_MEANT = (
    rf"{_START}(vpce-svc-{_HEX}){_END}",
    rf"{_START}(vpce-{_HEX}){_END}",
    "arn:[a-z-]+:organizations::[0-9]{12}:account/o-[a-z0-9]+/([0-9]{12})",
    rf"{_START}(ou-[0-9a-z]{{4,32}}-[0-9a-z]{{8,32}}){_END}",
    rf"{_START}(o-[a-z0-9]{{10,32}}){_END}",
    "arn:[a-z-]+:(?:iam|sts)::([0-9]{12}):.*",
    r"\A\s*([0-9]{4})[- ]?([0-9]{4})[- ]?([0-9]{4})\Z",
    ".+",
)
"""From the most particular on. An account in other ARNs is mostly the provider's own, so nobody means that."""
_CANARY = "@canary:"


def meant(text: str, form: re.Pattern[str]) -> str:
    """The key of a form that a text stands for; "" where there is none, or more than one."""
    lowered = text.strip().lower()
    head = _CANARY if lowered.startswith(_CANARY) else ""
    for pattern in _MEANT:
        found = {"".join(match.groups()) or match[0] for match in re.finditer(pattern, lowered.removeprefix(head))}
        keys = {f"{head}{one}" for one in found if form.fullmatch(f"{head}{one}")}
        if keys:
            return keys.pop() if len(keys) == 1 else ""
    return ""
