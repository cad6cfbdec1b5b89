def test_needs_no_second_copy_on_disk(make_images, pair_up, tmp_path):
    partner = pair_up("symmetric", make_images(["1.png", "2.png"]))
    first, second = partner.source.pack(tmp_path / "cache"), partner.pack(tmp_path / "cache")
    assert (first == second).all()
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 1
