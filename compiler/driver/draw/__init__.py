"""Drawing a body's step: a picture (`picture`), laid out in layers (`layout`), written as SVG (`svg`)."""
