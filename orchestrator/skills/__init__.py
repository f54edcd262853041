"""Skills are data: `skills/<name>/skill.toml` says what a step of that skill runs.

A user adds one by adding a folder, without Python. Rule: arguments stay apart. Every argument of a step becomes
one argument of the program; nothing is joined into a line for a shell, and nothing is looked up at run time but
the program on PATH.
"""

from orchestrator.skills.bind import BindContext, bind, command_step
from orchestrator.skills.load import Skills, load_skills
from orchestrator.skills.skill import Skill

__all__ = ["BindContext", "Skill", "Skills", "bind", "command_step", "load_skills"]
