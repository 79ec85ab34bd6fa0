/** The card in an output: its MIME type, and when it is live. */
import type { CardData, View } from './shared/types';

export const CARD_MIME = 'application/vnd.fal-jupyter.card+json';

/** True where the running gateway serves the card's app, also where its cell brought it back at another gateway. */
export function isLive(card: CardData, view: View): boolean {
  return view.link === 'live' && (card.panel === 'dashboard' || view.apps.some(app => app.alias === card.alias));
}
