"""The charts' engine, as a child process: `python -m noria.web.vega bundle` or `… svg` (a Vega-Lite spec on stdin).

vl_convert carries a JavaScript engine of more than 100 MB, so it lives as long as one answer and never in the server.
"""

import sys


def main(verb: str) -> None:
    """Write the JavaScript bundle, or the SVG of the spec on stdin, to stdout."""
    import vl_convert

    if verb == "bundle":
        text = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    else:
        text = vl_convert.vegalite_to_svg(sys.stdin.read(), allowed_base_urls=[])
    sys.stdout.write(text)


if __name__ == "__main__":
    main(sys.argv[1])
