"""Schedules that run faster than on AWS: rate() by one factor; at() and cron() keep to the real time."""

from ministack.services import eventbridge, scheduler  # type: ignore[import-untyped]

PACE = 0.2
"""Seconds between two looks at the schedules (10 in ministack)."""


def install(speed: float) -> None:
    """Let rules and Scheduler schedules with rate() fire `speed` times as often, the first time one interval
    after their creation.

    Seams: the pace of both tickers, the length of a rate, and the times of the last firings, which ministack keeps
    when a rule or schedule is deleted, so that a new one of the same name would fire at once.
    """
    eventbridge._SCHEDULER_TICK_INTERVAL = PACE
    scheduler._SCHEDULE_TICK_INTERVAL = PACE
    length = eventbridge._parse_rate_seconds

    def shorter(expression: str) -> float | None:
        seconds = length(expression)
        return None if seconds is None else seconds / speed

    eventbridge._parse_rate_seconds = shorter
    _forget_with_the_deleted()


def _forget_with_the_deleted() -> None:
    tick_rules, tick_schedules = eventbridge._tick_scheduled_rules, scheduler._tick_schedules

    def rules() -> None:
        _keep_only(eventbridge._rule_last_fired, eventbridge._rules._data)
        tick_rules()

    def schedules() -> None:
        _keep_only(scheduler._schedule_last_fired, scheduler._schedules._data)
        tick_schedules()

    eventbridge._tick_scheduled_rules = rules
    scheduler._tick_schedules = schedules


def _keep_only(fired: dict[object, float], existing: dict[object, object]) -> None:
    for key in fired.keys() - existing.keys():
        del fired[key]
