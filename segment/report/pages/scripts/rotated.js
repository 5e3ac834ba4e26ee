// A picture on the map whose corners need not lie north up: Leaflet's overlay, brought to three corners by a matrix.
"use strict";
(() => {
  noseam.RotatedOverlay = L.ImageOverlay.extend({
    /** `corners`: latitude and longitude of the picture's corners: top left, top right, bottom right, bottom left. */
    initialize(url, corners, options) {
      this._corners = corners.map((corner) => L.latLng(corner));
      L.ImageOverlay.prototype.initialize.call(this, url, L.latLngBounds(this._corners), options);
    },

    _initImage() {
      L.ImageOverlay.prototype._initImage.call(this);
      this._image.style.transformOrigin = "0 0";
      this._image.style.width = this._image.style.height = "100px"; // the matrix brings it to its size
    },

    _place(point) {
      const [topLeft, topRight, , bottomLeft] = this._corners.map(point);
      const right = topRight.subtract(topLeft).divideBy(100);
      const down = bottomLeft.subtract(topLeft).divideBy(100);
      const matrix = [right.x, right.y, down.x, down.y, topLeft.x, topLeft.y];
      this._image.style.transform = `matrix(${matrix.join(", ")})`;
    },

    _reset() {
      this._place((corner) => this._map.latLngToLayerPoint(corner));
    },

    _animateZoom(event) {
      this._place((corner) => this._map._latLngToNewLayerPoint(corner, event.zoom, event.center));
    },
  });
})();
