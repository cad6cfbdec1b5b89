"""A manifest to a store: every slide is attempted, every outcome is written down."""

from wsikd.prepare.batch import prepare_slides
from wsikd.prepare.intake import take_in
from wsikd.prepare.page import show_slides, write_page
from wsikd.prepare.settings import PrepareSettings
from wsikd.prepare.slide import SlideTask, prepare_slide
from wsikd.prepare.status import SlideStatus

__all__ = [
    "PrepareSettings",
    "SlideStatus",
    "SlideTask",
    "prepare_slide",
    "prepare_slides",
    "show_slides",
    "take_in",
    "write_page",
]
