"""What the comparison must notice, and what it must let pass."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import quiet  # noqa: E402
import report  # noqa: E402
import rules  # noqa: E402
from references import References, differences  # noqa: E402

ONE = "6f2c1d8a-2f6c-4f0e-9d54-0a4f2f1d7c55"
TWO = "0c5b3d67-1d0e-4c55-9d3e-1f5c2f0b7a11"
OTHER = "11111111-2222-4333-8444-555555555555"


def found(left, right, references=None, allowance=None):
    return differences(left, right, references or References(), allowance)


class Comparison(unittest.TestCase):
    def test_equal_replies_have_no_difference(self):
        reply = {"data": [{"type": "string", "data": "OK"}], "meta": {"n": 1, "f": 1.5, "none": None}}
        self.assertEqual(found(reply, reply), [])

    def test_another_text_is_a_difference(self):
        self.assertEqual(len(found({"data": "OK"}, {"data": "Ok"})), 1)

    def test_another_order_of_members_is_a_difference(self):
        self.assertEqual(len(found({"a": 1, "b": 2}, {"b": 2, "a": 1})), 1)

    def test_a_missing_member_and_a_missing_element_are_differences(self):
        self.assertEqual(len(found({"a": 1, "b": 2}, {"a": 1})), 1)
        self.assertEqual(len(found([1, 2], [1])), 1)

    def test_a_number_is_not_its_text_nor_an_integer_a_float_nor_true_one(self):
        for left, right in ((1, "1"), (1, 1.0), (1, True), (0, None)):
            self.assertEqual(len(found(left, right)), 1)

    def test_ids_stand_for_each_other_wherever_they_appear(self):
        references = References()
        self.assertEqual(found(f"id {ONE}", f"id {TWO}", references), [])
        self.assertEqual(found([ONE], [TWO], references), [])

    def test_an_id_that_meets_a_second_partner_is_a_difference(self):
        references = References()
        self.assertEqual(found(ONE, TWO, references), [])
        self.assertEqual(len(found(ONE, OTHER, references)), 1)
        self.assertEqual(len(found(OTHER, TWO, references)), 1)

    def test_an_id_in_place_of_a_text_is_a_difference(self):
        self.assertEqual(len(found(ONE, "none")), 1)

    def test_durations_may_differ_but_a_duration_is_no_text(self):
        self.assertEqual(found("0:00:12.871099", "1:00:13"), [])
        self.assertEqual(len(found("0:00:12.871099", "N/A")), 1)
        self.assertEqual(len(found("0:00:12", "0:00:1x")), 1)

    def test_a_moment_with_its_zone_is_not_one_without(self):
        self.assertEqual(found("2026-11-25T18:34:00.763057+00:00", "2026-11-25T18:33:16.093043+00:00"), [])
        self.assertEqual(len(found("2026-11-25T18:34:00.763057+00:00", "2026-11-25 18:33:16.093043")), 1)

    def test_a_rule_for_numbers_asks_for_numbers(self):
        rule = rules.number("for the test", r"took")
        self.assertEqual(found({"took": 1.5}, {"took": 2.5}, allowance=rule), [])
        self.assertEqual(len(found({"took": 1.5}, {"took": -2.5}, allowance=rule)), 1)
        self.assertEqual(len(found({"took": 1.5}, {"took": None}, allowance=rule)), 1)
        self.assertEqual(len(found({"other": 1.5}, {"other": 2.5}, allowance=rule)), 1)

    def test_moments_may_differ_but_must_be_moments_of_the_same_form(self):
        self.assertEqual(found("at 2026-11-22 02:34:34", "at 2026-01-02 03:04:05"), [])
        self.assertEqual(found("Sun Nov 22 02:34:28 2026", "Mon Nov  2 02:34:28 2026"), [])
        self.assertEqual(len(found("at 2026-11-22 02:34:34", "at 2026-11-22T02:34")), 1)
        self.assertEqual(len(found("at 2026-11-22 02:34:34", "at 2026-11-22 02:34:34.123456")), 1)
        self.assertEqual(len(found("at 2026-11-22 02:34:34", "at 2026-13-22 02:34:34")), 1)

    def test_seconds_since_1970_must_be_plausible(self):
        self.assertEqual(found({"client_last_conn_time": 1795316109.6}, {"client_last_conn_time": 1795316159.7}), [])
        self.assertEqual(len(found({"client_last_conn_time": 1795316109.6}, {"client_last_conn_time": 0.0})), 1)
        self.assertEqual(len(found({"client_last_conn_time": 1795316109.6}, {"client_last_conn_time": 1})), 1)

    def test_the_start_of_the_server_is_the_same_whatever_tells_it(self):
        references = References()
        self.assertEqual(found({"server_start_time": 1795313604.5}, {"server_start_time": 1795313999.5}, references), [])
        self.assertEqual(len(found({"start_time": 1795313604.5}, {"start_time": 1795313999.25}, references)), 1)

    def test_a_rule_opens_its_place_only(self):
        allowance = rules.each_matches(r"\d+", "figures", r"rows\[1\]")
        self.assertEqual(found({"rows": ["total", "12"]}, {"rows": ["total", "345"]}, allowance=allowance), [])
        self.assertEqual(len(found({"rows": ["total", "12"]}, {"rows": ["total", "many"]}, allowance=allowance)), 1)
        self.assertEqual(len(found({"rows": ["total", "12"]}, {"rows": ["all", "12"]}, allowance=allowance)), 1)

    def test_a_rule_about_lines_looks_at_every_line_and_their_number(self):
        allowance = rules.each_line(r"a\d", "numbered", "x", same_count=True)
        self.assertEqual(found({"x": "a1\na2"}, {"x": "a3\na4"}, allowance=allowance), [])
        self.assertEqual(len(found({"x": "a1\na2"}, {"x": "a3\nb4"}, allowance=allowance)), 1)
        self.assertEqual(len(found({"x": "a1\na2"}, {"x": "a3"}, allowance=allowance)), 1)

    def test_the_output_is_back_when_the_last_of_several_threads_has_left(self):
        output = sys.stdout
        one, other = quiet.quiet(), quiet.quiet()
        one.__enter__()
        other.__enter__()
        one.__exit__()
        self.assertIsNot(sys.stdout, output)
        other.__exit__()
        self.assertIs(sys.stdout, output)

    def test_the_report_counts_per_method_of_the_session(self):
        comparison = report.Comparison("left", "right")
        for step, problems in (
            ("Session.show_study('one') as lead", []),
            ("007 Session.show_study('two') as lead", ["x"]),
            ("line 'show_study one'", ["x"]),
        ):
            comparison.add(report.Finding("studies", "lead", step, problems, {}, {}), [])
        self.assertEqual(comparison.methods, {"show_study": {"passed": 1, "failed": 1}})
        self.assertEqual((comparison.passed, len(comparison.failed)), (1, 2))


if __name__ == "__main__":
    unittest.main()
