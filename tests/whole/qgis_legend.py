"""Print as JSON what QGIS makes of rasters; run with the Python that has QGIS: `qgis_legend.py RASTER...`."""

import json
import sys

from qgis.core import QgsApplication, QgsRasterLayer  # type: ignore[import-not-found, unused-ignore]

application = QgsApplication([], False)
application.initQgis()
found = {}
for path in sys.argv[1:]:
    layer = QgsRasterLayer(path)
    renderer = layer.renderer()
    classes = renderer.classes() if renderer.type() == "paletted" else []
    found[path] = {
        "crs": layer.crs().authid(),
        "renderer": renderer.type(),
        "classes": [[entry.value, entry.label, entry.color.name()] for entry in classes],
    }
    del layer
print(json.dumps(found))
application.exitQgis()
