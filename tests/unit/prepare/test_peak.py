import numpy as np

from wsikd.prepare.peak import peak_mib


def test_the_peak_grows_with_what_is_used_and_stays_when_it_is_freed():
    before = peak_mib()
    used = np.ones((before + 200) * 2**20, np.uint8)
    del used
    assert before + 190 <= peak_mib() <= 2 * before + 300
