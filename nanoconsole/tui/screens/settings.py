"""Everything that can be set, made from the table of settings; a change is applied and saved at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from nanoconsole.services.alert_rules import BY_NAME
from nanoconsole.services.settings import Settings, settings_file
from nanoconsole.services.settings_schema import BY_KEY, SETTINGS, Setting, Value
from nanoconsole.services.settings_text import parsed, written
from nanoconsole.tui import keys
from nanoconsole.tui.screens.dialog import Dialog
from nanoconsole.tui.widgets.bars import KeyBar
from nanoconsole.tui.widgets.value_input import TextLine
from nanocore.runs.text import sanitize_line

if TYPE_CHECKING:
    from nanoconsole.tui.app import ConsoleApp

NAME_WIDTH = 18
SHOWN_VALUE = 60  # characters of a value in its row


class SettingsScreen(Dialog[None]):
    """A row a setting; its line of text appears below when one is typed."""

    SCOPE = "settings"
    CSS_PATH = "settings.tcss"
    BINDINGS = [*keys.bindings("settings")]

    def __init__(self, key: str) -> None:
        """The cursor stands on `key` first."""
        super().__init__()
        self._key = key

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            place = sanitize_line(str(settings_file()))
            yield Static(Content.assemble(("Settings", "bold"), (f"  {place}", "$axis")), classes="dialog-title")
            yield OptionList()
            yield Static(id="setting-help")
            yield TextLine(compact=True, select_on_focus=True, id="setting-value")
        yield KeyBar()

    @property
    def console(self) -> ConsoleApp:
        return cast("ConsoleApp", self.app)

    @property
    def chosen(self) -> Setting | None:
        """The setting under the cursor."""
        option = self.query_one(OptionList).highlighted_option
        return BY_KEY.get(option.id or "") if option else None

    @property
    def editing(self) -> bool:
        return self.query_one(Input).display

    def on_mount(self) -> None:
        self.query_one(Input).display = False
        options = self.query_one(OptionList)
        options.add_options(_options(self.console.settings))
        options.highlighted = options.get_option_index(self._key)
        options.focus()
        self.console.settings_signal.subscribe(self, self._show)

    def _show(self, settings: Settings) -> None:
        """Draw the values again."""
        options = self.query_one(OptionList)
        for setting in SETTINGS:
            options.replace_option_prompt(setting.key, _row(setting, settings.values[setting.key]))
        self._explain()

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        self._explain()

    def _explain(self, fault: str = "") -> None:
        """What the setting under the cursor means and accepts, or why what is typed is refused."""
        if (setting := self.chosen) is not None:
            self.query_one("#setting-help", Static).update(_help(setting, fault))
        for bar in self.query(KeyBar):
            bar.refresh()

    def offers(self, action: str) -> bool:
        setting = self.chosen
        if action.startswith("choose"):
            return not self.editing and setting is not None and setting.kind in ("switch", "choice")
        if action == "default":
            return not self.editing and setting is not None and self._value(setting) != setting.default
        return True

    def key_label(self, key: keys.Key) -> str:
        labels = {"edit": "Save", "cancel": "Cancel"} if self.editing else {}
        return labels.get(key.action, super().key_label(key))

    def _value(self, setting: Setting) -> Value:
        return self.console.settings.values[setting.key]

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.action_edit()

    def action_edit(self) -> None:
        """Change a switch, go to the next choice, or type a value."""
        setting = self.chosen
        if self.editing:
            self._keep()
        elif setting is not None and setting.kind in ("switch", "choice"):
            self.action_choose(1)
        elif setting is not None:
            line = self.query_one(Input)
            line.display = True
            line.value = written(self._value(setting))
            self.set_focus(line)  # at once: what is typed next belongs to it
            self._explain()

    def action_choose(self, by: int) -> None:
        setting = self.chosen
        if setting is None or setting.kind not in ("switch", "choice") or self.editing:
            return
        allowed: tuple[Value, ...] = (False, True) if setting.kind == "switch" else setting.choices
        place = allowed.index(self._value(setting)) + by
        self.console.change_setting(setting.key, allowed[place % len(allowed)])

    def action_default(self) -> None:
        if (setting := self.chosen) is not None and not self.editing:
            self.console.change_setting(setting.key, setting.default)

    def action_cancel(self) -> None:
        """Leave the line of text with the value as it was, or close the dialog."""
        if self.editing:
            self._leave_line()
        else:
            self.dismiss(None)

    def on_input_changed(self, event: Input.Changed) -> None:
        if self.editing:
            self._explain(self._fault(event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self._keep()

    def _fault(self, text: str) -> str:
        try:
            parsed(cast("Setting", self.chosen), text)
        except ValueError as error:
            return str(error)
        return ""

    def _keep(self) -> None:
        """Save what was typed; what is refused is typed anew."""
        text, setting = self.query_one(Input).value, self.chosen
        if setting is None or self._fault(text):
            self._explain(self._fault(text))
            return
        self._leave_line()
        self.console.change_setting(setting.key, parsed(setting, text))

    def _leave_line(self) -> None:
        self.query_one(Input).display = False
        self.set_focus(self.query_one(OptionList))
        self._explain()


def _help(setting: Setting, fault: str) -> Content:
    return Content.assemble(
        (setting.key, "bold $primary"),
        (f"  {setting.allowed}; default {written(setting.default) or 'none'}\n", "$axis"),
        (f"✗ {fault}", "$error") if fault else (setting.help, "$foreground"),
    )


def _options(settings: Settings) -> list[Option]:
    """All rows, the settings of each alert rule under its title."""
    found: list[Option] = [Option(Content.styled("Console", "bold $primary"), disabled=True)]
    group = ""
    for setting in SETTINGS:
        mine = setting.key.rpartition(".")[0]
        if mine != group:
            group = mine
            rule = BY_NAME.get(group.removeprefix("alerts."))
            title = f"Alert: {rule.title}" if rule else "Alerts"
            found.append(Option(Content.styled(title, "bold $primary"), disabled=True))
        found.append(Option(_row(setting, settings.values[setting.key]), id=setting.key))
    return found


def _row(setting: Setting, value: Value) -> Content:
    """A setting and its value; a diamond marks one that is not the default."""
    changed = value != setting.default
    name = setting.key.rpartition(".")[2].replace("_", " ")
    return Content.assemble(
        (" ◆ " if changed else "   ", "bold $accent"),
        (f"{name:<{NAME_WIDTH}} ", "$foreground"),
        (sanitize_line(_shown(setting, value), SHOWN_VALUE), "bold $accent" if changed else "$value"),
    )


def _shown(setting: Setting, value: Value) -> str:
    if setting.kind == "switch":
        return "● on" if value else "○ off"
    if setting.kind == "choice":
        return f"‹ {value} ›"
    return written(value) or "none"
