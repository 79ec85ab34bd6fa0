// @ts-check
/**
 * "Edit and run again": a recorded request goes to the Try form of its app's card, as the event `fj-edit-request`,
 * which the form takes by `preventDefault`.
 */

const EDIT_PATIENCE = 3000; // milliseconds in which a cell that is scrolled to has its card

/**
 * Edit a request in its app's card: that around `root`, else the one of its cell, which is shown.
 * @param {HTMLElement} root
 * @param {import("../types.d.ts").Host} host
 * @param {string} alias
 * @param {string} id
 * @returns {Promise<void>} rejected with a sentence where no card is there
 */
export async function editRequest(root, host, alias, id) {
  const within = root.closest(".fj-card");
  if (!within) host.goToCell?.(alias);
  const end = Date.now() + EDIT_PATIENCE;
  const offer = () =>
    root.dispatchEvent(
      new CustomEvent("fj-edit-request", { bubbles: true, composed: true, cancelable: true, detail: { alias, id } }),
    );
  while (offer()) {
    if (within || Date.now() > end)
      throw new Error(`Open the notebook whose cell made ${alias}: the request is edited in its card.`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
