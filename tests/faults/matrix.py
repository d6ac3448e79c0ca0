"""The fault matrix: every fault that is looked for, what must hold, and the tests that inject it.

`python -m tests.faults.matrix` prints it as the table of docs/reliability.md.
"""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """A fault. Tests are `file::function` under tests/, or `file` for all of it."""

    fault: str
    required: str
    tests: tuple[str, ...]


COMMIT, STRACE, DAMAGED = (
    "faults/test_checkpoint_commit.py",
    "faults/test_strace.py",
    "faults/test_damaged_checkpoints.py",
)
SAVES, TORN, LOCK = "faults/test_failed_saves.py", "faults/test_torn_records.py", "faults/test_run_lock.py"
EVERYWHERE, PARTS, SHUTDOWN = (
    "faults/test_resume_everywhere.py",
    "faults/test_resume_parts.py",
    "faults/test_shutdown.py",
)
REFUSED, CHANGED, WORDS = "faults/test_refused_updates.py", "faults/test_changed_data.py", "faults/test_last_words.py"
SUPERVISION, STEERING = "integration/test_supervision.py", "integration/test_steering.py"
SIGNALS, FALLBACK, FULL = "integration/test_cli_signals.py", "faults/test_fallback.py", "faults/test_full_disk.py"

MATRIX: tuple[Row, ...] = (
    Row(
        "SIGKILL before the renaming that commits a checkpoint",
        "the checkpoint before it loads, temporaries are swept, the resume is bit-exact",
        (f"{COMMIT}::test_a_kill_at_any_point_leaves_the_old_or_the_new", f"{EVERYWHERE}::test_a_kill_inside_accumulation_or_a_save_costs_steps_and_changes_nothing"),
    ),
    Row(
        "SIGKILL at every system call of a save",
        "the newest that verifies is the old or the new one, never a mixture",
        (f"{STRACE}::test_a_kill_at_every_system_call_of_a_save_leaves_the_old_or_the_new", f"{COMMIT}::test_replacing_the_only_checkpoint_never_loses_it"),
    ),
    Row("SIGKILL at random, again and again", "weights, optimizer state and curve of the uninterrupted run", ("faults/test_soak.py",)),
    Row(
        "full disk, or quota, while a checkpoint is written",
        "training goes on with a warning, the next turn tries again; exit 6 at the third failure in a row",
        (f"{SAVES}::test_training_goes_on_and_the_next_turn_tries_again", f"{SAVES}::test_the_third_failure_in_a_row_ends_the_run_with_what_it_has", f"{STRACE}::test_an_error_of_the_disk_is_an_error_of_the_save"),
    ),
    Row("limit of file size", "as a full disk; path and bytes needed are named", (f"{SAVES}::test_a_limit_of_file_size_is_a_full_disk_and_the_message_says_how_much_is_needed",)),
    Row("records on a full disk", "training goes on; status and log say what is not persisted", (f"{FULL}::test_lost_records_stand_in_the_log_and_in_the_last_status", f"{TORN}::test_a_full_disk_loses_records_but_not_the_training")),
    Row("EIO from fsync", "the checkpoint counts as not written", (f"{SAVES}::test_training_goes_on_and_the_next_turn_tries_again", f"{COMMIT}::test_an_error_while_saving_is_raised_and_leaves_nothing")),
    Row("run folder that cannot be written", "exit 2 before step 0, nothing half-made", (f"{SAVES}::test_a_folder_that_cannot_be_written_is_refused_before_anything_is_made",)),
    Row("too little free space at the launch", "a note with both figures", ("unit/test_services_room.py",)),
    Row("truncated file of a checkpoint", "found by its size; the one before is taken, and told", (f"{DAMAGED}::test_a_truncated_file_is_found_by_its_size", f"{FALLBACK}::test_the_checkpoint_before_is_taken_and_the_run_comes_out_the_same")),
    Row("one bit flipped", "found by its hash; none loads silently", (f"{DAMAGED}::test_one_flipped_bit_anywhere_is_found", FALLBACK, "faults/test_passed_over.py")),
    Row("manifest missing, torn, or of a newer version", "not used, with the reason; exit 5 when no other is left", (f"{DAMAGED}::test_a_torn_manifest_is_found", f"{DAMAGED}::test_a_newer_version_says_so", f"{FALLBACK}::test_with_no_good_one_left_nothing_is_trained_and_nothing_is_touched")),
    Row("checkpoint of another configuration", "refused with the keys that differ, before anything is touched", ("integration/test_trainer.py::test_another_configuration_cannot_resume_a_run",)),
    Row("a stop anywhere", "bit-exact: every technique and preset, after every step, across ends of epochs, in the decay", (f"{EVERYWHERE}::test_a_run_stopped_after_every_step_equals_one_that_never_stopped", f"{EVERYWHERE}::test_so_does_every_preset", "integration/test_techniques_resume.py")),
    Row("a checkpoint without one part of the state", "for each part left out, the comparison of row 14 fails: it would be seen", (PARTS,)),
    Row("other threads, device, dtype, torch or number of processes", "told as not bit-exact, key by key; the run goes on", (f"{CHANGED}::test_another_machine_is_told_key_by_key_and_the_run_goes_on",)),
    Row("torn last line of a record file", "costs itself, is counted; reading goes on", (f"{TORN}::test_a_torn_last_line_costs_itself_alone",)),
    Row("NULs, garbage, bytes that are not UTF-8", "the same", (f"{TORN}::test_garbage_is_skipped_and_counted_and_reading_goes_on",)),
    Row("records truncated, rewritten or replaced", "noticed, and read anew", (f"{TORN}::test_a_truncated_file_is_read_anew", f"{TORN}::test_a_replaced_file_is_read_anew")),
    Row("steps that go back after a resume", "the curve has each step once, of the newest attempt", (f"{SUPERVISION}::test_a_killed_run_resumes_from_its_checkpoint_and_the_curve_has_each_step_once", "unit/test_services_history.py", "unit/test_services_layers.py", "unit/test_services_milestones.py")),
    Row("100 MB without a newline", "bounded memory", (f"{TORN}::test_a_hundred_megabytes_without_a_newline_need_no_memory",)),
    Row("two writers of one run", "exit 75, who and since when; nothing changes", (f"{LOCK}::test_a_second_process_is_told_who_is_busy_and_changes_nothing", f"{STEERING}::test_a_second_trainer_is_refused_and_changes_nothing")),
    Row("owner killed, a forked worker lives", "the lock is free at once", (f"{LOCK}::test_the_lock_is_free_after_kill_9_though_a_forked_worker_lives",)),
    Row("stale or reused pid", "not taken for the trainer, never signalled", (f"{LOCK}::test_a_reused_pid_is_not_the_trainer_and_gets_no_signal",)),
    Row("console killed", "training goes on, another console sees all", (f"{SUPERVISION}::test_a_trainer_outlives_its_console_and_another_one_sees_all", f"{SIGNALS}::test_the_trainer_outlives_a_console_that_is_killed")),
    Row("terminal closed", "the same; the console ends", (f"{SUPERVISION}::test_a_trainer_outlives_its_console_and_another_one_sees_all", "tui/test_hangup.py")),
    Row("signal while a checkpoint is written", "it is finished first; a second signal forces, and what was there stays", (f"{SHUTDOWN}::test_a_stop_while_a_checkpoint_is_written_waits_for_it", f"{SHUTDOWN}::test_a_second_signal_ends_at_once_and_leaves_the_last_checkpoint", f"{SIGNALS}::test_ctrl_c_stops_with_a_checkpoint_and_exits_130")),
    Row("SIGTERM or SIGINT in any phase", "saved, its code, within 30 s", (SHUTDOWN,)),
    Row("hang", "told as stalled by the reader's own clock; stop sends TERM and CONT, then KILL", ("unit/test_runs_stall.py", f"{STEERING}::test_a_suspended_trainer_is_woken_to_save", f"{STEERING}::test_a_deaf_trainer_is_killed")),
    Row("crash at import, segmentation fault, abort", "exit code or signal in words; last lines and trace kept and shown", (WORDS, f"{SUPERVISION}::test_a_crash_is_explained")),
    Row("out of memory, or killed from outside", "one line and what to do, exit 6; no restart for exit 6", ("faults/test_memory.py", "faults/test_restarts.py::test_which_ends_are_accidents")),
    Row("flood of output", "nobody blocks; the log is cut to its end", (f"{SUPERVISION}::test_a_flood_of_output_blocks_nobody", f"{WORDS}::test_a_flood_is_cut_while_no_step_ends")),
    Row("loss or gradient that is not finite", "never applied; event with batch, tensors and whether it comes again; stop, skip or rollback", (REFUSED, "integration/test_trainer.py::test_a_non_finite_loss_never_reaches_the_weights")),
    Row("spike of loss or gradient norm", "six sigma over 128 steps; event with its batch; kept, skipped or rolled back, within limits", ("unit/test_train_spikes.py", REFUSED)),
    Row("wall clock jumps", "no rate, limit or state is taken from it", ("faults/test_clock.py", "unit/test_runs_stall.py::test_the_trainers_wall_clock_is_not_asked")),
    Row("text changed, gone, unreadable, or cut while it is read", "refused or told; a resume heals what was prepared", (CHANGED, "faults/test_data_faults.py")),
)  # fmt: skip


def table() -> str:
    """The matrix in Markdown."""
    lines = ["| # | fault | must hold | tests |", "|---|---|---|---|"]
    for number, row in enumerate(MATRIX, 1):
        names = ", ".join(f"`{name.rpartition('/')[2].replace('::', ' ').removesuffix('.py')}`" for name in row.tests)
        lines.append(f"| {number} | {row.fault} | {row.required} | {names} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")
