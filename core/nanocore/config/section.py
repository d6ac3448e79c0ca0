"""What all sections of a configuration share, and the kinds of numbers in them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from nanocore.runs.text import sanitize

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Rate = Annotated[float, Field(ge=0.0, le=100.0)]


class Section(BaseModel):
    """A section refuses unknown keys, wrong types and non-finite numbers, and cannot be changed after it is made."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _printable(cls, value: Any) -> Any:
        """Text is shown on terminals, so control characters are refused here, once, rather than escaped everywhere."""
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and sanitize(text) != text:
                raise ValueError("holds control characters; remove them")
        return value
