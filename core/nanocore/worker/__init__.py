"""The process behind the console's short heavy verbs: `python -m nanocore.worker`.

Reads one JSON request (one line) from stdin and answers in JSON lines on stdout; each has a `kind`:

- `text` (`text`): the next piece of generated text, with `tokens` drawn so far; of several texts instead `index`
- `progress` (`phase`, `done`, `total`): how far a preparation is
- `ready`, `reply`: of a chat, see nanocore.worker.text
- `check`: of a validation, see nanocore.worker.validate
- `done`: the job's result, the last line
- `error` (`type`, `message`, `exit_code`): why there is none, and the class of the error; the last line

Later lines on stdin belong to the verb: a chat is told what was said. The line {"cancel": true} ends the text that is
being written. The process ends when its stdin closes: whoever asked is gone, or does not want the answer any more.
"""
