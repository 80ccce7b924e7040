"""What the program says to its user and asks, on top of whichever screen is shown."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from views.app_context import AppContext
from views.steady_app import SteadyApp
from views.widgets.message_line import Messages, Severity
from views.workbench_screen import WorkbenchScreen
from workbench.connecting.config import Connection, Secret
from workbench.connecting.level import Level
from workbench.connecting.logins import describe_receivers
from workbench.decode.display import visible
from workbench.model.errors import ConfigError

if TYPE_CHECKING:
    from views.dialogs.form import Answers, Form


class Questions(SteadyApp):
    """Keeps what was said, and asks a question at a time."""

    context: AppContext
    """What the screens share; there before the first of them."""

    def __init__(self, theme: str | None) -> None:
        """Begin in a theme, with nothing said."""
        super().__init__(theme)
        self.messages: Final = Messages()
        self._asking = asyncio.Lock()
        # Nothing is told by what lies over what is read (`notify`): the widgets for it need not be made.
        self._disable_notifications = self._disable_tooltips = True

    @property
    def base_screen(self) -> WorkbenchScreen | None:
        """The screen that is worked on, beneath the questions that lie on top of it."""
        return next((screen for screen in reversed(self.screen_stack) if isinstance(screen, WorkbenchScreen)), None)

    def say(self, sentence: str, kind: Severity = "information") -> None:
        """Tell something in passing; what a stranger wrote in it is made visible."""
        self.messages.say(sentence, kind)
        if self.is_running and (screen := self.base_screen) is not None:
            screen.call_later(screen.show_message)

    def warn(self, sentence: str) -> None:
        """Tell what its user should think about."""
        self.say(sentence, "warning")

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: Severity = "information",
        timeout: float | None = None,
        markup: bool = True,
    ) -> None:
        """What Textual tells would lie over what is read: it goes where all else does."""
        self.say(message, severity)

    def show_messages(self) -> None:
        """Show what was said so far."""
        from views.dialogs.message_list import MessageList

        self.push_screen(MessageList(self.messages))
        self.messages.covered = 0

    def ask(
        self,
        title: str,
        question: str,
        then: Callable[[str], None],
        value: str = "",
        wrong: Callable[[str], str | None] | None = None,
        left: Callable[[], None] | None = None,
        hidden: bool = False,
        verb: str = "go on",
    ) -> None:
        """Ask for a line of text on top of the screen.

        Args:
            title: What for.
            question: In a sentence or two.
            then: Gets the text; an empty one is as if the question had been left.
            value: What stands there at first.
            wrong: Why a text will not do, in a sentence, or None: it will. Without it, any will.
            left: Called where there is no answer.
            hidden: Whether what is typed is not shown.
            verb: What enter does, in a word or two.
        """
        from views.dialogs.form import Entry, Form, accept_any

        form = Form(title, [Entry("text", value=value, hidden=hidden, wrong=wrong or accept_any)], verb, question)

        def answer(answers: "Answers | None") -> None:
            text = str(answers["text"]) if answers is not None else ""
            if text:
                then(text)
            elif left is not None:
                left()

        self.push_screen(form, answer)

    def fill(self, form: "Form", then: "Callable[[Answers], None]") -> None:
        """Ask for more than a line: show a form on top of the screen.

        Args:
            form: What is asked for.
            then: Gets the answers; not called where it was left.
        """
        self.push_screen(form, lambda answers: then(answers) if answers is not None else None)

    def agree(self, title: str, sentence: str, yes: str, then: Callable[[], object]) -> None:
        """Tell what will happen, on top of the screen, and wait for a yes."""
        from views.dialogs.sentences import Agree

        def answer(agreed: bool | None) -> None:
            if agreed:
                then()

        self.push_screen(Agree(title, sentence, yes), answer)

    async def confirm(self, connection: Connection, level: Level) -> bool:
        """Ask for a production connection's name: at once where a key asks for it, else in a pause of typing."""
        if not self.works_for_key:
            await self.pause()
        answered: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def answer(agreed: bool) -> None:
            # Whoever asked may have gone.
            if not answered.done():
                answered.set_result(agreed)

        self.ask(
            f"{connection.name} is production",
            f"This needs the guard {level.name.lower()!r}. Type the connection's name to go on.",
            lambda text: answer(True),
            wrong=lambda text: None if text == connection.name else "The name does not match. esc cancels.",
            left=lambda: answer(False),
        )
        with self.waiting_for_answer():
            return await answered

    async def ask_password(self, connection: Connection, reason: ConfigError | None) -> Secret | None:
        """Ask for a connection's password; one is asked for at a time."""
        async with self._asking:
            await self.pause()
            answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()

            def answer(text: str) -> None:
                # Whoever asked may have gone.
                if not answered.done():
                    answered.set_result(text)

            who = f"of {connection.user} " if connection.user else ""
            receivers = describe_receivers(connection, self.context.session.cluster_address)
            question = f"The password {who}goes to {receivers}. It is kept for this session only."
            self.ask(
                f"Password of {connection.name}",
                f"{visible(str(reason))} {question}" if reason else question,
                answer,
                left=lambda: answer(""),
                hidden=True,
            )
            with self.waiting_for_answer():
                text = await answered
        if not text:
            raise ConfigError("No password was given; r asks again.")
        return Secret(text)
