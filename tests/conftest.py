"""Settings that every test runs under."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "repeatable",
    derandomize=True,  # the same examples on every machine and in every run
    database=None,  # so nothing to remember
    deadline=None,  # compiled backends take seconds on their first example
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],  # a shared, throttled CI core is no fault of the strategy
)
settings.load_profile("repeatable")
