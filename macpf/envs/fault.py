"""The error of an environment that fails during a rollout."""


class EnvironmentFault(Exception):
    """An environment failed or broke its interface; one line names it, the agent, the step and what to do."""
