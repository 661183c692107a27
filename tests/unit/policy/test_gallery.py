"""The gallery of rows that cannot be read: one file per rule of the reader, and the sentence that its editor gets."""

import pytest
from linkgate.model import MalformedRow
from linkgate.policy.canary import invocable
from linkgate.policy.rows import CanaryRow, key_of, parse

from tests import gallery

CONSUMER = (
    "expected, without blanks, a 12-digit account id, an endpoint such as vpce-0123456789abcdef0, an OU such as "
    "ou-ab12-11111111, an organization such as o-a1b2c3d4e5, *, @settings, @release, or @canary: and an account or "
    "endpoint id"
)
SERVICE = "expected, without blanks, * or an id such as vpce-svc-0123456789abcdef0"
RULE = (
    "is not known here: expected one of cut, effect, expires_at, limit, note, owner, reason, regions, starts_at, ticket"
)
SETTING = (
    "is not known here: expected one of default, frozen_until, grace, max_cuts, max_rejects, mode, note, owner, probe, "
    "reason, reconcile, stale_after, sync_permissions, ticket"
)
TIME = "expected an ISO 8601 time with a zone such as 2026-12-31T23:00:00Z, or epoch seconds, between 2015 and 2100"
DURATION = "expected a duration such as 90s, 5m, 2h or 3d, ten years at most"
EFFECT = "expected allow, deny or review"
WHOLE = "expected a whole number from 0 to 999999999"
BUDGET = "expected a whole number from 0 to 999999999, or a percentage such as 10%"
TEXT = "expected text of at most 2000 characters"
ENTRIES = "as text with commas, a list of strings or a string set, none empty"
REGIONS = f"expected Region names such as eu-west-1, {ENTRIES}"
ENDPOINTS = f"expected endpoint ids such as vpce-0123456789abcdef0, {ENTRIES}"
PROBE = f"expected probe URLs without a host such as tcp://:443 or https://:443/healthz, {ENTRIES}"
OPTIONS = "expected options status, body and server_name behind #, once each"
ARN = "arn:aws:lambda:eu-west-1:222222222222:function:linkgate-canary-payments"
FUNCTION = f"expected the ARN of a canary's function such as {ARN}"

PROBLEMS = {
    "service": ("service", f"service is 'vpce-svc-orders': {SERVICE}"),
    "service-short": ("service", f"service is 'vpce-svc-0123456789abcdef': {SERVICE}"),
    "consumer": ("consumer", f"consumer is '22222222222': {CONSUMER}"),
    "consumer-blank": ("consumer", f"consumer is '222222222222 ', did you mean 222222222222? {CONSUMER}"),
    "consumer-dashes": ("consumer", f"consumer is '3333-3333-3333', did you mean 333333333333? {CONSUMER}"),
    "consumer-arn": (
        "consumer",
        f"consumer is 'arn:aws:iam::333333333333:root', did you mean 333333333333? {CONSUMER}",
    ),
    "consumer-endpoint-arn": (
        "consumer",
        "consumer is 'arn:aws:ec2:eu-west-1:222222222222:vpc-endpoint/vpce-0a1b2c3d4e5f60718', "
        f"did you mean vpce-0a1b2c3d4e5f60718? {CONSUMER}",
    ),
    "service-name": (
        "service",
        "service is 'com.amazonaws.vpce.eu-west-1.vpce-svc-0123456789abcdef0', "
        f"did you mean vpce-svc-0123456789abcdef0? {SERVICE}",
    ),
    "service-arn": (
        "service",
        "service is 'arn:aws:ec2:eu-west-1:111111111111:vpc-endpoint-service/vpce-svc-0123456789abcdef0', "
        f"did you mean vpce-svc-0123456789abcdef0? {SERVICE}",
    ),
    "consumer-name": ("consumer", f"consumer is 'payments': {CONSUMER}"),
    "consumer-organization": ("consumer", f"consumer is 'o-1': {CONSUMER}"),
    "consumer-reserved": ("consumer", f"consumer is '@setting': {CONSUMER}"),
    "consumer-short": ("consumer", f"consumer is 'vpce-0a1b2c3d4e5f6071': {CONSUMER}"),
    "consumer-unit": ("consumer", f"consumer is 'ou-AB12-11111111', did you mean ou-ab12-11111111? {CONSUMER}"),
    "attribute": ("expires", f"attribute 'expires' {RULE}"),
    "attribute-case": ("Limit", f"attribute 'Limit' {RULE}"),
    "attribute-settings": ("mode", f"attribute 'mode' {RULE}"),
    "effect-missing": ("effect", f"effect is missing: {EFFECT}"),
    "effect-word": ("effect", f'effect is "permit": {EFFECT}'),
    "effect-type": ("effect", f"effect is true: {EFFECT}"),
    "effect-list": ("effect", f'effect is ["allow"]: {EFFECT}'),
    "cut-on-allow": ("cut", "cut is set on a row with effect allow: expected it with effect deny only"),
    "cut-word": ("cut", 'cut is "later": expected now'),
    "limit-empty": ("limit", f'limit is "": {WHOLE}'),
    "limit-fraction": ("limit", f'limit is "1.5": {WHOLE}'),
    "limit-large": ("limit", f"limit is 10000000000: {WHOLE}"),
    "limit-negative": ("limit", f"limit is -1: {WHOLE}"),
    "limit-on-deny": ("limit", "limit is set on a row with effect deny: expected it with effect allow only"),
    "limit-on-review": ("limit", "limit is set on a row with effect review: expected it with effect allow only"),
    "expires_at-before": (
        "expires_at",
        "expires_at is 2026-11-01T00:00:00+00:00: expected a time after starts_at, 2026-12-31T00:00:00+00:00",
    ),
    "expires_at-same": (
        "expires_at",
        "expires_at is 2026-12-31T00:00:00+00:00: expected a time after starts_at, 2026-12-31T00:00:00+00:00",
    ),
    "expires_at-week": ("expires_at", f'expires_at is "2026-W53-4T23:00:00Z": {TIME}'),
    "limit-type": ("limit", f'limit is "two": {WHOLE}'),
    "starts_at-zone": ("starts_at", f'starts_at is "2026-12-31T23:00:00": {TIME}'),
    "starts_at-early": ("starts_at", f"starts_at is 1420070399: {TIME}"),
    "expires_at-impossible": ("expires_at", f'expires_at is "2026-02-30T00:00:00Z": {TIME}'),
    "expires_at-milliseconds": ("expires_at", f"expires_at is 1795402800000: {TIME}"),
    "expires_at-late": ("expires_at", f'expires_at is "2100-01-01T00:00:00Z": {TIME}'),
    "expires_at-type": ("expires_at", f'expires_at is ["2026-12-31T23:00:00Z"]: {TIME}'),
    "regions-name": ("regions", f'regions is ["Ireland"]: {REGIONS}'),
    "regions-case": ("regions", f'regions is "EU-WEST-1": {REGIONS}'),
    "regions-zone": ("regions", f'regions is ["eu-west-1a"]: {REGIONS}'),
    "regions-empty": ("regions", f'regions is "eu-west-1,": {REGIONS}'),
    "regions-number": ("regions", f'regions is "eu-west-0": {REGIONS}'),
    "regions-type": ("regions", f"regions is [1]: {REGIONS}"),
    "regions-none": ("regions", f"regions is []: {REGIONS}"),
    "people-type": ("owner", f'owner is {{"team": "payments"}}: {TEXT}'),
    "people-long": ("note", f'note is "{("because " * 10)[:76]}...: {TEXT}'),
    "settings-attribute": ("modes", f"attribute 'modes' {SETTING}"),
    "settings-mode": ("mode", 'mode is "on": expected enforce or observe'),
    "settings-default": ("default", 'default is "accept": expected hold or reject'),
    "settings-reconcile": ("reconcile", 'reconcile is "true": expected off, report or enforce'),
    "settings-grace": ("grace", f'grace is "one minute": {DURATION}'),
    "settings-grace-negative": ("grace", f"grace is -60: {DURATION}"),
    "settings-max_cuts": ("max_cuts", f'max_cuts is "101%": {BUDGET}'),
    "settings-max_cuts-fraction": ("max_cuts", f'max_cuts is "2.5%": {BUDGET}'),
    "settings-max_rejects": ("max_rejects", f"max_rejects is -1: {BUDGET}"),
    "settings-frozen_until": ("frozen_until", f'frozen_until is "tomorrow": {TIME}'),
    "settings-stale_after": ("stale_after", f'stale_after is "3w": {DURATION}'),
    "settings-stale_after-long": ("stale_after", f'stale_after is "3654d": {DURATION}'),
    "settings-sync_permissions": ("sync_permissions", "sync_permissions is true: expected off, add or exact"),
    "settings-probe-many": (
        "probe",
        'probe is ["tcp://:8000", "tcp://:8001", "tcp://:8002", "tcp://:8003", "tcp://:8004", "...: '
        "expected at most 10 probes",
    ),
    "settings-probe-host": ("probe", f'probe is ["tcp://10.0.0.1:443"]: {PROBE}'),
    "settings-probe-path": ("probe", f'probe is ["tcp://:443/healthz"]: {PROBE}'),
    "settings-probe-port": ("probe", f'probe is ["tcp://:65536"]: {PROBE}'),
    "settings-probe-scheme": ("probe", f'probe is ["udp://:53"]: {PROBE}'),
    "settings-probe-option": ("probe", f"probe is [\"https://:443/#retries=3\"]: {OPTIONS}, not 'retries'"),
    "settings-probe-option-twice": (
        "probe",
        f"probe is [\"https://:443/#status=200&status=204\"]: {OPTIONS}, not 'status'",
    ),
    "settings-probe-option-form": (
        "probe",
        'probe is ["https://:443/#status"]: expected options behind # such as status=204&body=ok, '
        "and % only in %25 and the like",
    ),
    "settings-probe-option-percent": (
        "probe",
        'probe is ["https://:443/#body=100%"]: expected options behind # such as status=204&body=ok, '
        "and % only in %25 and the like",
    ),
    "settings-probe-twice": (
        "probe",
        'probe is ["https://:443/#status=200", "https://:443/#status=204"]: '
        "expected each URL once, with all of its options",
    ),
    "settings-probe-status": (
        "probe",
        "probe is [\"https://:443/healthz#status=99\"]: expected a status from 200 to 599, not '99'",
    ),
    "settings-probe-status-word": (
        "probe",
        "probe is [\"http://:80/#status=ok\"]: expected a status from 200 to 599, not 'ok'",
    ),
    "settings-probe-status-on-tls": (
        "probe",
        'probe is ["tls://:443#status=200"]: expected status behind http:// or https:// only',
    ),
    "settings-probe-body-on-tcp": (
        "probe",
        'probe is ["tcp://:443#body=ready"]: expected body behind http:// or https:// only',
    ),
    "settings-probe-body-stars": (
        "probe",
        "probe is [\"https://:443/#body=*\"]: expected a body of 1 to 500 characters that are not all *, not '*'",
    ),
    "settings-probe-server_name": (
        "probe",
        'probe is ["https://:443/#server_name=two words"]: expected a server_name such as api.example.com, '
        "not 'two words'",
    ),
    "settings-probe-server_name-on-tcp": (
        "probe",
        'probe is ["tcp://:443#server_name=api.example.com"]: expected server_name behind tls:// or http:// or '
        "https:// only",
    ),
    "settings-probe-type": ("probe", f"probe is 443: {PROBE}"),
    "settings-people-type": ("ticket", f"ticket is null: {TEXT}"),
    "release-endpoints-missing": (
        "endpoints",
        "endpoints is missing: expected endpoint ids that may be cut or rejected",
    ),
    "release-endpoints-form": ("endpoints", f'endpoints is ["vpce-0a1b2c3d4e5f60718", "222222222222"]: {ENDPOINTS}'),
    "release-endpoints-none": ("endpoints", f"endpoints is []: {ENDPOINTS}"),
    "release-endpoints-type": ("endpoints", f"endpoints is true: {ENDPOINTS}"),
    "release-attribute": (
        "expires_at",
        "attribute 'expires_at' is not known here: expected one of endpoints, note, owner, reason, ticket",
    ),
    "canary-consumer": ("consumer", f"consumer is '@canary:payments': {CONSUMER}"),
    "canary-function-missing": ("function", "function is missing: expected the ARN of the canary function"),
    "canary-function-region": (
        "function",
        f'function is "arn:aws:lambda:-:222222222222:function:linkgate-canary-payments": {FUNCTION}',
    ),
    "canary-function-form": ("function", f'function is "linkgate-canary": {FUNCTION}'),
    "canary-function-type": ("function", f'function is ["{ARN}"]: {FUNCTION}'),
    "canary-attribute": (
        "regions",
        "attribute 'regions' is not known here: expected one of function, note, owner, reason, ticket",
    ),
}
"""For each malformed row of the gallery the attribute at fault, and the sentence for its editor."""


def test_every_malformed_row_of_the_gallery_has_its_sentence_here() -> None:
    assert gallery.malformed().keys() == PROBLEMS.keys()


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_malformed_row_says_which_attribute_cannot_be_read_and_what_is_expected(name: str) -> None:
    item = gallery.malformed()[name]
    found = parse(item)
    assert isinstance(found, MalformedRow), found
    assert (found.attribute, found.problem) == PROBLEMS[name]
    assert found.key == key_of(item)
    assert str(found) == f"row {found.key}: {found.problem}"


GOOD = {"service": "*", "effect": "allow", "endpoints": "vpce-0123456789abcdef0", "function": ARN}


@pytest.mark.parametrize("name", [name for name, (attribute, _) in PROBLEMS.items() if attribute != "consumer"])
def test_nothing_else_is_wrong_with_a_malformed_row_of_the_gallery(name: str) -> None:
    item, attribute = gallery.malformed()[name], PROBLEMS[name][0]
    mended = {name: value for name, value in item.items() if name != attribute}
    if attribute in GOOD:
        mended[attribute] = GOOD[attribute]
    assert not isinstance(parse(mended), MalformedRow)


def test_the_function_that_a_message_shows_as_an_example_is_one_that_a_row_may_name() -> None:
    for name in ("canary-function-form", "canary-function-region", "canary-function-type"):
        item = gallery.malformed()[name]
        found = parse(item)
        assert isinstance(found, MalformedRow)
        row = parse({**item, "function": found.problem.rpartition(" such as ")[2]})
        assert isinstance(row, CanaryRow)
        assert invocable(row, own="") == row
