// What the bundle need not carry: the comments and the white space of the style sheets.
module.exports = {
  module: {
    rules: [
      {
        test: /\.css$/,
        enforce: 'pre',
        use: require.resolve('./rspack.css-loader.js')
      }
    ]
  }
};
