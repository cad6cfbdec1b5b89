"""What tests build alike: the record of a slide in the store."""

from wsikd.store import SlideRecord, Source


def slide_record(slide_id, regions, size, mpp, **others):
    """Describe a drawn slide of (width, height) pixels; `others` are fields that matter."""
    drawn = {
        "settings": {},
        "source": Source(name=f"{slide_id}.svs", bytes=0, sha256=""),
        "slide_format": "drawn",
        "reader": "array",
        "reader_version": "1",
        "mpp_source": "given",
        "objective_power": None,
        "warnings": (),
    }
    width, height = size
    made = {"slide_id": slide_id, "width": width, "height": height, "mpp": mpp, "regions": regions}
    return SlideRecord(**{**drawn, **made, **others})
