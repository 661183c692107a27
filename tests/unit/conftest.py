"""Property tests judge what comes out, not how long it takes: a loaded machine makes no test fail."""

from hypothesis import settings

settings.register_profile("unit", deadline=None, max_examples=60)
settings.load_profile("unit")
