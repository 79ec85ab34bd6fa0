// What jupyter-builder bundles: what the tabs of a card draw, in a file beside that of all else, which a page loads at the same time.
// Together they are larger than the bundler finds good for one file.
module.exports = {
  optimization: {
    splitChunks: {
      cacheGroups: {
        tabs: {
          test: /[\\/]lib[\\/]shared[\\/](form|outputs|scaling|snippets|try)[\\/]/,
          chunks: "async",
          enforce: true,
        },
      },
    },
  },
};
