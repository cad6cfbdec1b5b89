"""Recipes: an ordered list of commands with their settings; what is done is skipped."""

from wsikd.recipes.carry_out import Commands, run_recipe
from wsikd.recipes.footprints import Footprint
from wsikd.recipes.steps import Step, read_recipe

__all__ = ["Commands", "Footprint", "Step", "read_recipe", "run_recipe"]
