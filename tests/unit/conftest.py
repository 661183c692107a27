"""How much property tests try."""

import os

from hypothesis import HealthCheck, settings

# Property tests judge what comes out, not how long it takes: a loaded machine makes no test fail.
settings.register_profile("unit", deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("prove", settings.get_profile("unit"), max_examples=3_000)
# The same examples for every mutant, so that a mutant that survives today survives tomorrow.
settings.register_profile("mutants", settings.get_profile("unit"), derandomize=True, database=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "unit"))
