"""Numbers of slides, pixels, bytes and seconds as people write them."""


def counted(count: int, what: str) -> str:
    """Write how many there are of something.

    Examples
    --------
    >>> counted(1, "slide"), counted(1200, "slide")
    ('1 slide', '1,200 slides')
    """
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def bytes_text(count: float) -> str:
    """Write a number of bytes.

    Examples
    --------
    >>> bytes_text(812), bytes_text(1_949_000), bytes_text(45e9)
    ('812 B', '1.9 MB', '45 GB')
    """
    units = ("B", "kB", "MB", "GB", "TB", "PB")
    power = 0
    while count >= 999.5 and power < len(units) - 1:
        count, power = count / 1000, power + 1
    digits = 1 if power and count < 9.95 else 0
    return f"{count:.{digits}f} {units[power]}"


def pixels_text(count: float) -> str:
    """Write a number of pixels in millions.

    Examples
    --------
    >>> pixels_text(120_496_024), pixels_text(32_556)
    ('120 MPix', '0.033 MPix')
    """
    return f"{count / 1e6:,.0f} MPix" if count >= 99.5e6 else f"{count / 1e6:.2g} MPix"


def time_text(seconds: float) -> str:
    """Write how long something takes, roughly.

    Examples
    --------
    >>> time_text(3.4), time_text(340), time_text(9000), time_text(3e6)
    ('3 s', '6 min', '2 h 30 min', '34 d 17 h')
    """
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"
