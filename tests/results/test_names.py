"""Names tell configurations apart, and are no longer than that takes."""

from __future__ import annotations

from bench.results.names import Matched, Names, is_teacher, teachers_of
from tests.recorded import make_record


def named(*records) -> list[str]:
    names = Names(list(records))
    return [str(names(record)) for record in records]


def test_what_all_share_is_not_named():
    assert named(make_record(), make_record(seed=1)) == ["cukd_v1 · cukd · csq · 32 bit"] * 2
    assert named(make_record(bits=0)) == ["cukd_v1 · cukd · csq · float"]


def test_a_part_with_several_settings_spells_out_what_differs():
    long = make_record(params={"loss": {"epochs": 60, "margin": 1}})
    assert named(make_record(params={"loss": {"epochs": 30, "margin": 1}}), long) == [
        "cukd_v1 · cukd · csq[epochs=30] · 32 bit",
        "cukd_v1 · cukd · csq[epochs=60] · 32 bit",
    ]


def test_how_images_were_seen_when_codes_were_made_is_a_setting_of_the_student():
    several = make_record(params={"encode": {"scales": [1.0, 0.5], "flip": False}})
    assert named(make_record(), several) == [
        "cukd_v1 · cukd · csq · 32 bit",
        "cukd_v1[scales=[1.0, 0.5], flip=False] · cukd · csq · 32 bit",
    ]
    assert named(several) == ["cukd_v1 · cukd · csq · 32 bit"]


def test_a_teacher_trained_in_another_way_gives_no_student_a_longer_name():
    teacher = make_record("efficientnet_lite0", "none", params={"loss": {"epochs": 5}})
    student = make_record(params={"loss": {"epochs": 30}})
    assert named(teacher, student)[1] == "cukd_v1 · cukd · csq · 32 bit"
    assert is_teacher(teacher, teachers_of([teacher, student]))
    assert not is_teacher(student, teachers_of([teacher, student]))


def test_a_network_is_a_teacher_on_the_data_that_it_teaches_on():
    elsewhere = make_record("efficientnet_lite0", "none", dataset="digits")
    assert not is_teacher(elsewhere, teachers_of([make_record(), elsewhere]))


def test_both_sides_of_a_comparison_share_what_is_equal():
    names = Names([plain := make_record(method="none"), taught := make_record()])
    assert str(Matched(names(plain), names(taught))) == "cukd_v1 · none -> cukd · csq · 32 bit"


def test_line_breaks_in_names_stay_out_of_names():
    assert named(make_record(loss="a\nb\x00")) == ["cukd_v1 · cukd · a b · 32 bit"]


def test_a_parameter_that_joined_later_is_told_where_it_is_not_as_before():
    before, other = {"epochs": 30}, {"epochs": 30, "targets": "first"}
    records = [make_record(params={"loss": before}), make_record(params={"loss": other})]
    assert named(*records) == [
        "cukd_v1 · cukd · csq · 32 bit",
        "cukd_v1 · cukd · csq[targets=first] · 32 bit",
    ]


def test_a_method_is_called_alike_with_all_students():
    """Two teachers of one student: with another, which has one of them, the method is no other one."""
    pairs = [("cukd_v1", "lite0"), ("cukd_v1", "lite2"), ("cukd_v2", "lite0")]
    records = [
        one.model_copy(update={"cell": one.cell.model_copy(update={"teachers": [f"efficientnet_{size}"]})})
        for one, size in ((make_record(student), size) for student, size in pairs)
    ]
    methods = [Names(records)(record).method for record in records]
    small, large = (f"cukd[teacher=efficientnet_{size}]" for size in ("lite0", "lite2"))
    assert methods == [small, large, small]
    assert [Names(records[1:])(record).method for record in records[1:]] == ["cukd", "cukd"]
