/** In the place of packages that are not used. */
module.exports = {};
