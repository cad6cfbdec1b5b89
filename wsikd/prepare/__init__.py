"""A manifest to a store: every slide is attempted, every outcome is written down."""

from wsikd.prepare.batch import prepare_slides
from wsikd.prepare.estimate import Estimate, estimate_slide
from wsikd.prepare.intake import take_in, take_in_and_write
from wsikd.prepare.page import show_slides, write_page
from wsikd.prepare.plan import PlanTotal, SlidePlan, add_up, plan_slides
from wsikd.prepare.settings import PrepareSettings, SlideSettings
from wsikd.prepare.slide import SlideTask, prepare_slide
from wsikd.prepare.status import SlideStatus

__all__ = [
    "Estimate",
    "PlanTotal",
    "PrepareSettings",
    "SlidePlan",
    "SlideSettings",
    "SlideStatus",
    "SlideTask",
    "add_up",
    "estimate_slide",
    "plan_slides",
    "prepare_slide",
    "prepare_slides",
    "show_slides",
    "take_in",
    "take_in_and_write",
    "write_page",
]
