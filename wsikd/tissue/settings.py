"""How tissue is found: every length in µm, so that slides of any resolution are treated alike."""

from typing import Literal

from pydantic import Field

from wsikd.config import Settings


class TissueSettings(Settings):
    """How tissue is found on a slide."""

    method: Literal["wsikd", "tissueloc", "whole"] = Field(
        "wsikd",
        description="wsikd, tissueloc as it was published, whose lengths are pixels, or whole: "
        "each picture is one region as it is, whatever it shows",
    )
    mpp: float = Field(8.0, gt=0, description="resolution tissue is searched at, in µm per pixel")
    smoothing_um: float = Field(
        5.0, ge=0, description="sigma of the Gaussian that all is measured after, in µm"
    )
    min_stain: float = Field(
        0.03, gt=0, lt=1, description="share of the glass's light that tissue takes away at least"
    )
    min_tint: float = Field(
        0.02,
        ge=0,
        lt=1,
        description="difference of colours, as share of the glass's light, that makes pale tissue",
    )
    min_texture: float = Field(
        0.008,
        ge=0,
        lt=1,
        description="standard deviation, as share of the glass's light, that makes pale tissue",
    )
    max_shade: float = Field(
        0.12,
        gt=0,
        lt=1,
        description="share of the light a coverslip takes at most; what takes more needs no tint",
    )
    join_um: float = Field(
        90.0,
        ge=0,
        description="widest gap inside a piece of tissue, in µm; wider gaps part pieces",
    )
    fill_um: float = Field(
        200.0, ge=0, description="widest hole that is counted as tissue, in µm, were it round"
    )
    min_width_um: float = Field(
        60.0, ge=0, description="smallest width of a piece, in µm; hairs and scratches are thinner"
    )
    min_area_mm2: float = Field(
        0.1, ge=0, description="smallest piece of tissue that is kept, in mm²"
    )
    drop_green_ink: bool = Field(
        True, description="whether saturated, smooth green is pen; false for green stains"
    )
    drop_other_ink: bool = Field(
        True, description="whether saturated, smooth red and blue, and black, are pen"
    )
    drop_lines: bool = Field(
        True, description="whether long, straight, grey lines are the edge of a coverslip"
    )
    padding_um: float = Field(
        50.0, ge=0, description="margin of glass around a piece in its box, in µm"
    )
    max_side_um: float | None = Field(
        None, gt=0, description="longest side of a box, in µm; larger pieces are cut in equal parts"
    )
    tissueloc_threshold: float = Field(
        0.80, gt=0, lt=1, description="method tissueloc: share of white that tissue is darker than"
    )
