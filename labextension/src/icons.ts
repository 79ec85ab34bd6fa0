/** The icons of fal apps: three layers; with a plus a new one, a dial the dashboard. */
import { LabIcon } from "@jupyterlab/ui-components";

export const appsIcon = new LabIcon({
  name: "fal-jupyter:apps",
  svgstr:
    '<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24"><g class="jp-icon3" fill="#616161">' +
    '<path d="M12 2 2 7.5l10 5.5 10-5.5z"/><path d="m4.2 10.8-2.2 1.2 10 5.5 10-5.5-2.2-1.2-7.8 4.3z"/>' +
    '<path d="m4.2 15.3-2.2 1.2L12 22l10-5.5-2.2-1.2-7.8 4.3z"/></g></svg>',
});

export const newAppIcon = new LabIcon({
  name: "fal-jupyter:new-app",
  svgstr:
    '<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24"><g class="jp-icon3" fill="#616161">' +
    '<path d="M10 3 1.5 7.7 10 12.4l8.5-4.7z"/><path d="m3.4 10.6-1.9 1L10 16.3l2.5-1.4v-2.3L10 14.1z"/>' +
    '<path d="m3.4 14.5-1.9 1L10 20.2l2.5-1.4v-2.3L10 18z"/><path d="M17 12h2.4v3.6H23V18h-3.6v3.6H17V18h-3.6v-2.4H17z"/></g></svg>',
});

export const dashboardIcon = new LabIcon({
  name: "fal-jupyter:dashboard",
  svgstr:
    '<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24"><g class="jp-icon3" fill="#616161">' +
    '<path d="M12 4A10 10 0 0 0 3.3 19h2.4a8 8 0 1 1 12.6 0h2.4A10 10 0 0 0 12 4z"/>' +
    '<path d="M10.6 13.6 17 8.2l-3.6 7.6a2 2 0 1 1-2.8-2.2z"/></g></svg>',
});
