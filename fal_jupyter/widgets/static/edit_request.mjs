// @ts-check
/** "Edit and run again": a recorded request goes to the Try form of its app's card, as the event `fj-edit-request`. */

const EDIT_PATIENCE = 3000; // milliseconds in which a cell that is scrolled to has its card

/** @param {Element} from @param {string} alias @param {string} id of the request */
export function sendEdit(from, alias, id) {
  from.dispatchEvent(new CustomEvent("fj-edit-request", { bubbles: true, composed: true, detail: { alias, id } }));
}

/** The card of an app that is in the page. @param {string} alias @returns {HTMLElement | undefined} */
function cardInPage(alias) {
  return /** @type {HTMLElement[]} */ ([...document.querySelectorAll(".fj-card")]).find((one) => one.dataset.app === alias && one.getClientRects().length > 0);
}

/**
 * Edit a request in its app's card: that around `root`, else the one of its cell, which is shown first.
 * @param {HTMLElement} root
 * @param {import("./types.d.ts").Host} host
 * @param {string} alias
 * @param {string} id
 * @returns {Promise<void>} rejected with a sentence where no card is there
 */
export async function editRequest(root, host, alias, id) {
  if (root.closest(".fj-card")) return sendEdit(root, alias, id);
  host.goToCell?.(alias);
  const end = Date.now() + EDIT_PATIENCE;
  for (let card = cardInPage(alias); ; card = cardInPage(alias)) {
    if (card) return sendEdit(card, alias, id);
    if (Date.now() > end) throw new Error(`Open the notebook whose cell made ${alias}: the request is edited in its card.`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
