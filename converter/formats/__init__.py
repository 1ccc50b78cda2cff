"""Bytes to trees and arrays. Nothing here knows Keras; every bound is checked before anything is allocated."""
