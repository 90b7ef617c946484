"""Names that a usage must not have: a provider's own words for tokens, and typing errors of ours.

A usage name that is not ours is a meter of its own, because a rate may price it. A token count under such a name would
be booked as 0 tokens without a price, for ever; so the names below are refused, and so is what resembles one of ours.
"""

from difflib import get_close_matches

from billing.core.usage import INSIDE_CACHE_READ, INSIDE_INPUT, INSIDE_OUTPUT, OWN_BUCKETS

TOKEN_NAMES = (*sorted(OWN_BUCKETS), *INSIDE_INPUT, *INSIDE_OUTPUT, *INSIDE_CACHE_READ)
RESEMBLANCE = 0.85  # of difflib: “inptu_tokens” is 0.92 like “input_tokens”
LENGTHS_APART_MAX = 1  # “advisor_input_tokens” is no slip of “audio_input_tokens”

# Other words for a count of tokens, and what it is called here; '' where no single name of ours says it.
FOREIGN_NAMES = {
    "prompt_tokens": "input_tokens", "prompttokens": "input_tokens", "prompttokencount": "input_tokens",
    "prompt_token_count": "input_tokens", "inputtokens": "input_tokens", "inputtokencount": "input_tokens",
    "input_token_count": "input_tokens", "text_input_tokens": "input_tokens", "prompt_eval_count": "input_tokens",
    "completion_tokens": "output_tokens", "completiontokens": "output_tokens", "outputtokens": "output_tokens",
    "outputtokencount": "output_tokens", "output_token_count": "output_tokens", "generated_tokens": "output_tokens",
    "candidatestokencount": "output_tokens", "candidates_token_count": "output_tokens",
    "text_output_tokens": "output_tokens", "eval_count": "output_tokens",
    "cached_tokens": "cache_read_tokens", "cachedtokens": "cache_read_tokens", "num_cached_tokens": "cache_read_tokens",
    "cached_input_tokens": "cache_read_tokens", "cachedinputtokens": "cache_read_tokens",
    "cache_read_input_tokens": "cache_read_tokens", "cachereadinputtokens": "cache_read_tokens",
    "cachedcontenttokencount": "cache_read_tokens", "cached_content_token_count": "cache_read_tokens",
    "prompt_cache_hit_tokens": "cache_read_tokens", "cachereadtokens": "cache_read_tokens",
    "cache_creation_input_tokens": "cache_write_tokens", "cachewriteinputtokens": "cache_write_tokens",
    "cache_creation_tokens": "cache_write_tokens", "cache_write_input_tokens": "cache_write_tokens",
    "ephemeral_5m_input_tokens": "cache_write_tokens", "ephemeral_1h_input_tokens": "cache_write_1h_tokens",
    "thinking_tokens": "reasoning_tokens", "thoughtstokencount": "reasoning_tokens",
    "thoughts_token_count": "reasoning_tokens", "reasoningtokens": "reasoning_tokens",
    "reasoning_output_tokens": "reasoning_tokens",
    "total_tokens": "", "totaltokens": "", "totaltokencount": "", "total_token_count": "", "tokens": "", "token": "",
    "text_tokens": "", "audio_tokens": "", "image_tokens": "", "video_tokens": "", "prompt_cache_miss_tokens": "",
    "prompt_tokens_details": "", "completion_tokens_details": "", "input_tokens_details": "",
    "output_tokens_details": "",
}  # fmt: skip


def find_name_fault(name: str) -> str:
    """Why `name` is no usage name, and the cure; '' where it is one.

    >>> find_name_fault("sandbox_minutes")
    ''
    """
    plain = name.lower()
    if plain in FOREIGN_NAMES:
        ours = FOREIGN_NAMES[plain] or "input_tokens and output_tokens"
        return f"is not what it is called here: write {ours}, or send the provider's own object as provider_usage"
    if "token" in plain and name not in TOKEN_NAMES:
        close = get_close_matches(plain, TOKEN_NAMES, n=1, cutoff=RESEMBLANCE)
        if close and abs(len(close[0]) - len(plain)) <= LENGTHS_APART_MAX:
            return f"is no usage name: did you mean {close[0]}?"
    return ""
