/** The icon of fal apps: three layers. */
import { LabIcon } from '@jupyterlab/ui-components';

export const appsIcon = new LabIcon({
  name: 'fal-jupyter:apps',
  svgstr:
    '<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24"><g class="jp-icon3" fill="#616161">' +
    '<path d="M12 2 2 7.5l10 5.5 10-5.5z"/><path d="m4.2 10.8-2.2 1.2 10 5.5 10-5.5-2.2-1.2-7.8 4.3z"/>' +
    '<path d="m4.2 15.3-2.2 1.2L12 22l10-5.5-2.2-1.2-7.8 4.3z"/></g></svg>'
});
