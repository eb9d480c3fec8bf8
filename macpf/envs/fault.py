"""What goes wrong inside an environment while it is played."""


class EnvironmentFault(Exception):
    """An environment failed or broke its interface: one line with its name, the agent, the step and what to do."""
