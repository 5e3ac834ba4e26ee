"""Draw a mask over its image as a map with a legend: how QGIS shows both with the side files that noseam writes.

Run it with the Python that has QGIS, with `QT_QPA_PLATFORM=offscreen` where there is no screen:

    /usr/bin/python3 docs/qgis_map.py IMAGE MASK OUT.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

from qgis.core import (
    QgsApplication,
    QgsBilinearRasterResampler,
    QgsLayout,
    QgsLayoutExporter,
    QgsLayoutItem,
    QgsLayoutItemLegend,
    QgsLayoutItemMap,
    QgsLayoutItemScaleBar,
    QgsLayoutPoint,
    QgsLayoutSize,
    QgsLegendRenderer,
    QgsLegendStyle,
    QgsMapLayerLegendUtils,
    QgsProject,
    QgsRasterLayer,
    QgsTextFormat,
)
from qgis.PyQt.QtGui import QFont, QImage

_WIDTH_PX, _WIDTH_MM = 1600, 320.0
_MARGIN_MM, _LEGEND_MM = 4.0, 60.0
_BAR_MM = 12.0
_MM_PER_INCH = 25.4
_OPACITY = 0.7
_SMALLEST = 0
_FONT = QFont("DejaVu Sans", 11)


def load(path: Path) -> QgsRasterLayer:
    """Return a raster with the style that lies beside it."""
    layer = QgsRasterLayer(str(path.absolute()), path.stem)
    if not layer.isValid():
        raise SystemExit(f"{path}: QGIS cannot read it")
    return layer


def place(item: QgsLayoutItem, left: float, top: float, width: float, height: float) -> None:
    """Put an item of the page where it belongs, in millimetres."""
    item.attemptMove(QgsLayoutPoint(left, top))
    item.attemptResize(QgsLayoutSize(width, height))


def draw(image: QgsRasterLayer, mask: QgsRasterLayer) -> QgsLayout:
    """Return a page with the mask over the image on the left, its legend and a scale bar on the right."""
    mask.setOpacity(_OPACITY)
    image.resampleFilter().setZoomedOutResampler(QgsBilinearRasterResampler())
    QgsProject.instance().addMapLayer(image, False)  # the legend has what the layer tree has: the mask alone
    QgsProject.instance().addMapLayer(mask)
    width = _WIDTH_MM - _LEGEND_MM - 3 * _MARGIN_MM
    height = width * mask.extent().height() / mask.extent().width()
    layout = QgsLayout(QgsProject.instance())
    layout.initializeDefaults()
    layout.pageCollection().page(0).setPageSize(QgsLayoutSize(_WIDTH_MM, height + 2 * _MARGIN_MM))
    view = QgsLayoutItemMap(layout)
    place(view, _MARGIN_MM, _MARGIN_MM, width, height)
    view.setCrs(mask.crs())
    view.setLayers([mask, image])
    view.setExtent(mask.extent())
    view.setFrameEnabled(True)
    layout.addLayoutItem(view)
    left = width + 2 * _MARGIN_MM
    add_legend(layout, mask, left)
    add_scale_bar(layout, view, left, height + _MARGIN_MM)
    return layout


def add_legend(layout: QgsLayout, mask: QgsRasterLayer, left: float) -> None:
    """Put the names and colours of the mask's classes at the right of the page."""
    legend = QgsLayoutItemLegend(layout)
    node = legend.model().rootGroup().findLayer(mask)
    classes = len(mask.renderer().classes())
    QgsLegendRenderer.setNodeLegendStyle(node, QgsLegendStyle.Hidden)
    QgsMapLayerLegendUtils.setLegendNodeOrder(node, list(range(1, classes + 1)))  # the first names the channel
    legend.model().refreshLayerLegend(node)
    legend.setStyleFont(QgsLegendStyle.SymbolLabel, _FONT)
    legend.setBoxSpace(0)
    place(legend, left, _MARGIN_MM, _LEGEND_MM, 1)
    layout.addLayoutItem(legend)
    legend.adjustBoxSize()


def add_scale_bar(layout: QgsLayout, view: QgsLayoutItemMap, left: float, bottom: float) -> None:
    """Put a scale bar below the legend."""
    bar = QgsLayoutItemScaleBar(layout)
    bar.setStyle("Single Box")
    bar.setLinkedMap(view)
    bar.applyDefaultSize()
    bar.setBoxContentSpace(0)
    bar.setTextFormat(QgsTextFormat.fromQFont(_FONT))
    place(bar, left, bottom - _BAR_MM, _LEGEND_MM, _BAR_MM)
    layout.addLayoutItem(bar)


def main() -> None:
    """Draw the map that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("image", "mask", "out"):
        parser.add_argument(name, type=Path)
    arguments = parser.parse_args()
    application = QgsApplication([], False)
    application.initQgis()
    layout = draw(load(arguments.image), load(arguments.mask))
    page = QgsLayoutExporter(layout).renderPageToImage(0, dpi=_WIDTH_PX / _WIDTH_MM * _MM_PER_INCH)
    if not page.convertToFormat(QImage.Format_RGB888).save(str(arguments.out), quality=_SMALLEST):
        raise SystemExit(f"{arguments.out}: cannot be written")
    QgsProject.instance().clear()
    application.exitQgis()


if __name__ == "__main__":
    main()
