// Begins: what is in sight first, then the rest, then what the address says.
"use strict";
noseam.gallery.start();
noseam.overview.start();
noseam.failures.start();
noseam.map.start();
noseam.charts.start();
noseam.keys.start();
noseam.route.start();
document.documentElement.dataset.ready = "yes";
