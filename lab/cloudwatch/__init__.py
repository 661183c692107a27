"""Alarms as CloudWatch evaluates them: the rules, their verdicts in words, the watch, and what a change sets off."""
